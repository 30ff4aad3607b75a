"""What to do about a message that the flow may be dying of.

A message that kills the flow comes again at the next start, with all that was un-acked beside it,
and kills it again. Once the first message to come has been delivered so often, messages are
handed out a few at a time, so that each start gets further, until the deadly one comes first. It is
then handed out alone, its trial made part of the state before; when trial after trial was its
last, it is refused. No other message is refused for its neighbour's sake.
"""

from dataclasses import dataclass

from connectors.trials import ENOUGH, GROWTH, SUSPECT_AFTER, TRIALS


@dataclass(frozen=True, slots=True)
class Trial:
    """State that outlives the process: the message about to be handed out alone, and how often."""

    identity: int
    number: int


class Caution:
    """How many messages may be handed out in each epoch of one life of a partition.

    ``trial``: what the state of the life before says. The message at hand is called the head.
    """

    def __init__(self, trial: Trial | None) -> None:
        self.trial = trial
        self.over = False
        """Whether there is no limit any more."""
        self._begun = False
        self._allowed = self._left = 0

    def begin(self, identity: int, deliveries: int) -> None:
        """Take note of the first head of this life and how often it was delivered already."""
        if self._begun:
            return
        self._begun = True
        before, self.trial = self.trial, None
        if deliveries < SUSPECT_AFTER:
            self.over = True
            return
        same = before is not None and before.identity == identity
        self.trial = Trial(identity, before.number + 1 if before and same else 1)

    @property
    def left(self) -> int:
        """How many messages may still be handed out in this epoch."""
        return self._left

    @property
    def refuse(self) -> bool:
        """Whether the head has had its trials."""
        return self.trial is not None and self.trial.number > TRIALS

    def took(self) -> None:
        """A message was handed out."""
        self._left -= 1
        self.trial = None

    def epoch_ended(self) -> None:
        """The epoch is over, and part of a snapshot: the next may bring more."""
        if not self._begun or self.over:
            return
        if self._left < self._allowed:
            self._allowed *= GROWTH
        elif self.trial is not None:
            self._allowed = 1
        self._left = self._allowed
        self.over = self._allowed >= ENOUGH

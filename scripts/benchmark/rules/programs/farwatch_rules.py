"""farwatch's rules on frames of 1,000 records."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from rules.fences import Fences
from rules.rulebook import RuleBook
from rules.rulesets import load_rules
from schemas.decoding import TelemetryDecoder
from schemas.frame import Frame
from schemas.message import Message
from scripts.benchmark.rules.programs.judging import write

FRAME_ROWS = 1_000


def frames_of(records: list[dict[str, Any]]) -> list[Frame]:
    """The records as frames, decoded as telemetry is."""
    decoder = TelemetryDecoder()
    frames: list[Frame] = []
    for first in range(0, len(records), FRAME_ROWS):
        body = json.dumps(records[first : first + FRAME_ROWS]).encode()
        frame = decoder.decode([Message(body, "records")]).frame
        frames += [] if frame is None else [frame]
    return frames


def main() -> None:
    """Judge frame after frame until the budget is spent; the first round's answers are told."""
    source, target, budget_s = sys.argv[1], sys.argv[2], float(sys.argv[3])
    given = json.loads(Path(source).read_text())
    frames = frames_of(given["records"])
    listed = [
        {"id": f"r{n}", "when": rule["cel"], "severity": "info"}
        for n, rule in enumerate(given["rules"])
    ]
    begun = time.process_time()
    book = RuleBook(load_rules(json.dumps(listed).encode(), "rules").rules, Fences(()))
    compiled_s = time.process_time() - begun
    truths = [held(book, frame) for frame in frames]
    judged, begun = 0, time.process_time()
    while (spent_s := time.process_time() - begun) < budget_s:
        frame = frames[judged // FRAME_ROWS % len(frames)]
        book.judge_records(frame)
        judged += len(frame)
    answers = [[bool(t) for t in row] for part in truths for row in part.tolist()]
    write(target, compiled_s, spent_s, answers, records=judged)


def held(book: RuleBook, frame: Frame) -> np.ndarray:
    """(rows, rules) whether each rule holds for each record."""
    verdicts = book.judge_records(frame)
    truths = np.zeros((len(frame), len(book.rules)), np.bool_)
    truths[:, verdicts.rule] = (verdicts.code == 1).T
    return truths


if __name__ == "__main__":
    main()

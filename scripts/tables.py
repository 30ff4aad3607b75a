"""`farwatch tables`: the tables of results made ahead, by somebody who has the right to."""

from connectors.contract import ConnectorSettings, SettingsError
from connectors.definitions import DefinitionStore
from connectors.registry import masked, open_sink


def make_tables(url: str) -> None:
    """Make the tables that ``url`` names or bring them up to date; raises SettingsError."""
    store = open_sink(url, ConnectorSettings())
    if not isinstance(store, DefinitionStore):
        raise SettingsError(f"`{masked(url)}`: has no tables; name postgresql:// or sqlite:PATH")
    store.keep({}, "made")

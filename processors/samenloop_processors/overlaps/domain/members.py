"""Which client a source person belongs to, from the latest statement of each client."""

from __future__ import annotations

from collections import defaultdict

from samenloop_schemas.records import ClientStatement


class Membership:
    """A set of client statements. Repeats and lower versions of a client change nothing.

    While a merge or a split is under way a person may be listed by two clients: the younger statement wins. Because the
    clients stage states a client that gains somebody before the one that loses him, nobody is without a client in between.
    """

    def __init__(self) -> None:
        self._clients: dict[str, tuple[int, tuple[str, ...]]] = {}
        self._listed: defaultdict[str, list[str]] = defaultdict(list)

    def state(self, statement: ClientStatement) -> set[str] | None:
        """The clients whose members may have changed; None when the statement is old."""
        version, members = self._clients.get(statement.client_id, (-1, ()))
        if statement.subject_version <= version:
            return None
        persons = {*members, *statement.members}
        before = {client for person in persons if (client := self.client_of(person))}
        for person in members:
            self._listed[person].remove(statement.client_id)
            if not self._listed[person]:
                del self._listed[person]
        self._clients[statement.client_id] = statement.subject_version, statement.members
        for person in statement.members:
            self._listed[person].append(statement.client_id)
        return before | {client for person in persons if (client := self.client_of(person))}

    def client_of(self, person: str) -> str | None:
        clients = self._listed.get(person)
        if not clients:
            return None
        return clients[0] if len(clients) == 1 else max(clients, key=lambda client: self._clients[client][0])

    def members(self, client: str) -> list[str]:
        """The source persons who belong to this client now, of those it lists."""
        _, listed = self._clients.get(client, (0, ()))
        return [person for person in listed if self.client_of(person) == client]

    def clients(self) -> list[str]:
        return sorted(self._clients)

    def persons(self) -> list[str]:
        return sorted(self._listed)

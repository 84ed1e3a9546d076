"""Pure rules of intake. The state F of an area is a function of the set of its judged statements.

A statement is judged on its own (`gate`): it *passes* or it does not, and nothing that came before it matters. A case is
what one partner states under one (organisation, source system, case ref); so a feed can only take out what it brought in
itself, whatever it writes. On the set of one case's statements (`ledger`):

* The case is **known** when at least one of its statements, of whatever revision, passes.
* A passing statement is accepted in full, the stale one too: downstream the highest (revision, stated_at, statement_id) wins.
* A statement that does not pass leaves a **mark**: ids and a status, no facts and no identity. RETRACTED leaves a mark as
  well, since there is nothing in it but that.
* The marks of a *known* case are accepted statements with refs and status only: RETRACTED and ENDED keep their status
  ("always pass for a known case"), every other becomes WITHHELD. The marks of an unknown case stay at home: nothing of
  it was ever told, so there is nothing to take back. If a passing statement comes later, its marks go out with it.

So refused revision 5 before accepted revision 3 ends as revision 3 before 5: the case is out at revision 5. An ENDED that
fails the gate is not kept with its dates: in the other order they would be gone already. To make that rare, ENDED needs
no identity, and when it fails on the day it was stated it is judged again on its last day of involvement (a youth who
grew out of the age band, a party that left the agreement).

A statement is judged by an agreement or not at all. Without one for the day on which it was stated it **waits**: it makes no
case known and leaves no mark, and its partner is told so. When a version that covers its day is read, it is judged as if it
had come then, with the `recorded_at` of its first coming. Agreements cover every day from the first day of the earliest
version on, so a statement leaves the waiting ones once, and which ones wait follows from the two sets, not from their order.

Between versions the verdict follows the log: a version counts once its decision was read, and one published on a later day
than that of `stated_at` changes no verdict. So a refused statement of a case that is not known is judged anew when it is
sent again, and a mark that was made under another agreement than is now known for its day does not go out until then. A
statement that has gone out has that one effect.
"""

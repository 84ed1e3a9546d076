"""MEE: the weekly CSV or workbook of changes, signed, dropped in a folder; only rows with written consent are taken.

What a file says is decided as follows (`files`, `table`, `mapping` and `connector` carry it out):

* **Which file.** ``MEE_<organisation>_<yyyymmdd>[_volledig][_vN].(csv|xlsx)``. The newest row of a case is that of the file
  with the highest (day, version, ``volledig``, XLSX over CSV), never the one that came last.
* **Which sender.** With public keys in the configuration a file waits for ``<file>.sig``, an Ed25519 signature over the line
  that ``sha256sum`` prints: name and content together, so that an old file cannot come back under a new date. Without keys
  ``<file>.sha256`` only says that the file is whole.
* **Consent.** No readable date, a date yet to come, a word of refusal, or a scope that is not in the configuration: the row
  is refused, and nothing of it stays but the keyed reference and the count. A case that was told before is taken back
  (RETRACTED), and what was kept of its rows is forgotten. A later row with consent brings it again.
* **Mutation.** N and W say how it stands. V with an end date that is not before its start: ENDED, the dossier was closed and
  cleared away. V without: RETRACTED, it was entered wrongly. A row without consent is no longer asked for its mutation.
* **Dates.** A row without a start is ANNOUNCED; with one it is ACTIVE, also from a day to come, since no later row may follow.
  `einddatum` is the last day: ENDED once it is before the day of the file.
* **One dossier twice in a file.** Missing consent outranks all; then a row that cannot be read; then V over W over N, then the
  content.
* **Still there.** A delta says nothing of what did not change. A row that is sent again confirms its case; once a month (at
  least once per term of the agreement) a file with ``_volledig`` shows every dossier. It is a complete reading: a case that
  two of them in a row do not show has ENDED.
"""

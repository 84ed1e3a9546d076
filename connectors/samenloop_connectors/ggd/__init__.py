"""Youth health care (JGZ) of a GGD, read from a FHIR R4 server by nightly Bulk Data export. BSN: yes."""

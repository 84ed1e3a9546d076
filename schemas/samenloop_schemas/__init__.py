"""The language of Samenloop: Avro schemas, typed records, codec, derived ids, partial dates, BSN, topic catalogue."""

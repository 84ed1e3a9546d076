"""Youth and family teams whose case system speaks ZGW: notifications that something changed, and a Zaken API to fetch it."""

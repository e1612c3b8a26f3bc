"""Entries of the audit trail, for changes that tests make themselves."""

from service.audit.entry import Entry, Event

REGISTERED, DELETED = Entry(Event.REGISTERED), Entry(Event.DELETED)

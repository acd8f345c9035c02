"""Pictures of plain numbers, for pages and for files of their own; nothing here knows where the numbers come from."""

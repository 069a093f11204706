"""From results to what people read: terminal table, HTML page, Markdown, CSV."""

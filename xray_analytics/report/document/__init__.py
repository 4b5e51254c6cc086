"""The form of a report: one document, written as HTML, workbook or PDF."""

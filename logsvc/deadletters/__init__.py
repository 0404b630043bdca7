"""What could never be a row: written aside, shown, and tried again."""

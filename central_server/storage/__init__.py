"""SQLModel lives here only: tables, migrations, one repository for each concept."""

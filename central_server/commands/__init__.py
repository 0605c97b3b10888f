"""The commands of `central-server`, by what they are about; main.py joins them."""

"""Transfers of objects: uploads and downloads in parts."""

"""Hugging Face's hub: it knows one account, and offers nothing to download."""

from __future__ import annotations

from rig.sites import Answer, Request

HOST = "huggingface.co"


class Hub:
    def answer(self, request: Request) -> Answer:
        """Any token is the account's."""
        if request.path == "/api/whoami-v2" and request.key:
            return Answer(200, {"name": "somebody", "type": "user", "orgs": []})
        return Answer(401, {"error": "Invalid username or password."})

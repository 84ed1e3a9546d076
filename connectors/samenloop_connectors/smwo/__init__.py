"""Welfare organisations (social work, client support) whose registration system is read over a polled REST API. No BSN."""

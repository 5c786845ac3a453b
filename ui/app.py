"""The page and the application it is mounted in. Gradio is imported when a page is built, not before."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ui.desk import Desk

if TYPE_CHECKING:
    import gradio as gr
    from fastapi import FastAPI

_ASSETS = Path(__file__).parent / "assets"


def build_page(desk: Desk) -> gr.Blocks:
    """Return the chat page on top of a Desk. One page serves all sessions; each session's state is its own."""
    from ui.page import build

    return build(desk)


def mount_page(application: FastAPI, desk: Desk, *, path: str = "/") -> FastAPI:
    """Mount the chat page with its look: no server-side rendering, no footer, no run history, nothing from outside."""
    import gradio as gr

    from ui.page import theme

    gr.mount_gradio_app(
        application,
        build_page(desk),
        path=path,
        theme=theme(),
        head=f"<style>{(_ASSETS / 'page.css').read_text(encoding='utf-8')}</style>",  # `css` would be prefixed
        js=(_ASSETS / "page.js").read_text(encoding="utf-8"),
        favicon_path=str(_ASSETS / "mark.svg") if path == "/" else None,
        footer_links=[],
        run_history=False,
        show_error=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
    )
    return application

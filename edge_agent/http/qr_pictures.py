"""QR codes on the agent's pages."""

import segno


def draw_code(text: str) -> str:
    """The QR code as SVG to stand inside a page, black on white in every theme."""
    code = segno.make(text, error="m", micro=False)
    return code.svg_inline(
        omitsize=True, border=4, dark="#000", light="#fff", svgclass="qr", lineclass=None
    )

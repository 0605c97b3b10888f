"""QR codes as inline SVG: sharp at any size, and nothing to load."""

import segno


def qr_svg(text: str, *, error: str = "m") -> str:
    """Dark on white whatever the page's colours, with the quiet zone that readers need."""
    code = segno.make(text, error=error, micro=False)
    return code.svg_inline(
        scale=4, border=4, dark="#000", light="#fff", omitsize=True, svgclass="qr", lineclass=None
    )

"""The look in Gradio's terms: every colour is a css variable of assets/style.css, one place for light and dark."""

import inspect

import gradio as gr
from gradio.themes.utils import fonts

_COLOURS = {
    "page": "body_background_fill",
    "panel": "background_fill_primary block_background_fill input_background_fill input_background_fill_focus "
    "checkbox_label_background_fill checkbox_background_color button_primary_text_color "
    "button_primary_text_color_hover checkbox_label_text_color_selected button_secondary_background_fill",
    "sunken": "background_fill_secondary button_secondary_background_fill_hover "
    "checkbox_label_background_fill_hover stat_background_fill",
    "ink": "body_text_color block_title_text_color block_label_text_color accordion_text_color slider_color "
    "button_secondary_text_color button_secondary_text_color_hover checkbox_label_text_color table_text_color "
    "button_primary_background_fill button_primary_border_color checkbox_background_color_selected "
    "checkbox_border_color_selected checkbox_label_background_fill_selected",
    "ink2": "body_text_color_subdued block_info_text_color button_primary_background_fill_hover "
    "button_primary_border_color_hover",
    "ink3": "input_placeholder_color",
    "line": "border_color_primary block_border_color panel_border_color",
    "border": "input_border_color button_secondary_border_color checkbox_border_color input_border_color_hover",
    "focus": "input_border_color_focus border_color_accent loader_color link_text_color link_text_color_hover "
    "link_text_color_active link_text_color_visited",
    "error-bg": "error_background_fill",
    "error": "error_border_color error_text_color error_icon_color",
}

_SIZES = {
    "block_border_width": "0px",
    "block_padding": "0px",
    "block_shadow": "none",
    "block_radius": "6px",
    "block_title_text_weight": "700",
    "block_title_text_size": "13px",
    "block_title_padding": "0px",
    "block_title_background_fill": "transparent",
    "block_label_background_fill": "transparent",
    "block_label_text_weight": "700",
    "block_info_text_size": "13px",
    "body_text_size": "15px",
    "prose_header_text_weight": "700",
    "section_header_text_size": "14px",
    "section_header_text_weight": "700",
    "layout_gap": "12px",
    "form_gap_width": "0px",
    "input_padding": "7px 10px",
    "input_radius": "6px",
    "input_text_size": "15px",
    "input_border_width": "1px",
    "input_shadow": "none",
    "input_shadow_focus": "none",
    "button_border_width": "1px",
    "button_transition": "background-color .12s",
    "button_transform_hover": "none",
    "button_transform_active": "none",
    "button_primary_shadow": "none",
    "button_secondary_shadow": "none",
    "checkbox_label_text_size": "14px",
    "checkbox_label_border_width": "0px",
    "checkbox_label_shadow": "none",
}

_BUTTON = {"padding": "8px 12px", "radius": "6px", "text_size": "15px", "text_weight": "700"}
_SMALL_BUTTON = {"padding": "5px 10px", "radius": "6px", "text_size": "14px", "text_weight": "400"}


def theme() -> gr.themes.Base:
    """Ink on paper, in IBM Plex as Gradio ships it: nothing is fetched from elsewhere."""
    base = gr.themes.Base(
        # The bundled files are whole only in these two weights.
        font=[fonts.LocalFont("IBM Plex Sans", weights=(400, 700)), fonts.Font("system-ui"), fonts.Font("sans-serif")],
        font_mono=[
            fonts.LocalFont("IBM Plex Mono", weights=(400, 700)),
            fonts.Font("ui-monospace"),
            fonts.Font("monospace"),
        ],
        radius_size=gr.themes.sizes.radius_sm,
        spacing_size=gr.themes.sizes.spacing_sm,
        text_size=gr.themes.sizes.text_md,
    )
    values = dict(_SIZES)
    for colour, names in _COLOURS.items():
        values |= {name: f"var(--mg-{colour})" for name in names.split()}
    for size, button in (("large", _BUTTON), ("medium", _BUTTON), ("small", _SMALL_BUTTON)):
        values |= {f"button_{size}_{name}": value for name, value in button.items()}
    known = inspect.signature(base.set).parameters  # Not every value has a partner for dark.
    return base.set(**values, **{f"{name}_dark": value for name, value in values.items() if f"{name}_dark" in known})

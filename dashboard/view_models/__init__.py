"""What the pages show, worked out without Streamlit: pure functions from graphs and records to things to draw."""

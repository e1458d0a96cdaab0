"""Reading, cleaning and keeping apart the texts for calibration and evaluation."""

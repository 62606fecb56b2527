//! Every page is rendered with sample data.

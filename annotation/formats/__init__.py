"""Files of pairs: DA-2K, tables, Label Studio, COCO, questions, DIW. They know no database."""

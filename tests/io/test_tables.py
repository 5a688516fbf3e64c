import csv

import pytest

from motionbert_mm.io.tables import write_table

HEADER = ['init', 'MPJPE', 'seeds']


def test_a_table_is_a_csv_file_with_a_header(tmp_path):
    rows = iter([['scratch', 45.25, 3], ['pretrained, finetuned', 44.0, 3]])
    write_table(tmp_path / 'out' / 'table.csv', rows, HEADER)
    with open(tmp_path / 'out' / 'table.csv', newline='') as file:
        assert list(csv.reader(file)) == [HEADER, ['scratch', '45.25', '3'], ['pretrained, finetuned', '44.0', '3']]


def test_a_row_of_another_length_is_refused_and_leaves_no_file(tmp_path):
    with pytest.raises(ValueError, match='a row has 1 cells, the header 3'):
        write_table(tmp_path / 'table.csv', [['x']], HEADER)
    assert not list(tmp_path.iterdir())

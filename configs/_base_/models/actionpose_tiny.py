# For runs of minutes on one or two CPU cores; not a published size. The words are those of synthetic training texts:
#   python tools/dataset_converters/synthetic.py data/synthetic-texts --phrasings train
#   python tools/train_vocabulary.py data/synthetic-texts --out data/synthetic_words.txt
_base_ = './actionpose.py'
model = dict(
    backbone=dict(max_frames=27, dim=64, depth=2, num_heads=2, tap_layer=1),
    neck=dict(branches=dict(frames=dict(out_channels=64), token=dict(out_channels=64, drop=0.0))),
    heads=dict(text=dict(
        drop=0.0,
        text_encoder=dict(
            _delete_=True,
            vocab_file='data/synthetic_words.txt',
            bert=dict(hidden_size=64, num_attention_heads=4, intermediate_size=128, hidden_dropout_prob=0.0,
                      attention_probs_dropout_prob=0.0),
            # From scratch [CLS] is nearly the same for all texts at first.
            average_tokens=True),
        # Ten times the weight of the large configs: a training of minutes hardly learns with theirs.
        losses=[dict(type='AlignmentLoss', temperature=0.1, gamma=2.0, weight=1.0)])),
)

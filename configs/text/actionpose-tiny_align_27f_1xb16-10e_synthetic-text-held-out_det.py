# For tests: sentences of templates that no training has seen, of the clips and of the classes.
_base_ = './actionpose-tiny_align_27f_1xb16-10e_synthetic-text_det.py'
test_dataloader = dict(dataset=dict(phrasings='held_out'))
test_evaluator = [
    dict(type='TextRetrievalMetric', class_texts=dict(
        walk=['someone is walking straight ahead'],
        run=['someone is running straight ahead'],
        jump=['someone jumps up once with both feet', 'someone jumps forward once with both feet'],
        squat=['someone squats down and stands up again, arms stretched forward'],
        wave=['someone raises the left arm and waves', 'someone raises the right arm and waves'],
        bow=['someone bows politely and straightens up again'],
        punch=['someone boxes, punching with the left hand', 'someone boxes, punching with the right hand'],
        kick=['someone swings the left leg and kicks forward', 'someone swings the right leg and kicks forward'],
        clap=['someone claps the hands'],
        sit_down=['someone sits down on a chair'],
        turn=['someone turns to the left', 'someone turns to the right'],
        throw=['someone throws a ball overarm with the left hand',
               'someone throws a ball overarm with the right hand'])),
    dict(type='Pose3DMetric')]

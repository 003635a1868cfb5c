class Migration(migrations.Migration):
    operations = [
        migrations.AddField(model_name='demarche', name='etat'),
    ]

class Migration(migrations.Migration):
    operations = [
        migrations.RemoveField(model_name='demarche', name='libelle'),
    ]

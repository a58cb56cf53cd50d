# The bucket of MLflow, and a user who may do nothing else. Doing it again changes nothing.
# Plain shell: the image has neither grep nor sed.
set -eu
mc --quiet alias set store "${MINIO_URL:-http://minio:9000}" root "$MINIO_ROOT_PASSWORD"
mc --quiet mb --ignore-existing store/mlflow
mc --quiet admin policy create store mlflow "${0%/*}/mlflow-policy.json"
mc --quiet admin user add store mlflow "$MLFLOW_S3_SECRET"
case $(mc admin user info store mlflow) in
*"PolicyName: mlflow"*) ;;
*) mc --quiet admin policy attach store mlflow --user mlflow ;;
esac

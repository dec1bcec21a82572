# A standby in a second Region (STANDBY.md): this module with the provider of that Region and `standby_of`. It makes replicas of the
# keys and of the table, reads replicas of the secrets, and until `serving` no function runs that writes anything.
locals {
  is_standby = var.standby_of != null
  is_closed  = local.is_standby && !var.serving
  # They write nothing, and say that the rest would be ready. The canary asks at public_url: whether clients reach the first Region.
  always = ["JwksFunction", "ConsoleFunction", "CanaryFunction"]

  # Roles have no Region: two deployments of an account have different ones.
  roles = local.is_standby ? "${local.name}-standby" : local.name

  key_arn        = local.is_standby ? aws_kms_replica_key.this[0].arn : aws_kms_key.this[0].arn
  broker_key_arn = local.is_standby ? aws_kms_replica_key.broker[0].arn : aws_kms_key.broker[0].arn
  table_name     = local.is_standby ? "${local.name}${var.table_suffix}" : aws_dynamodb_table.this[0].name
  secret_name    = local.is_standby ? "portcullis/${var.environment}" : aws_secretsmanager_secret.this[0].name
  # A replica has the ARN of the secret it is of, in its own Region; the last six characters are AWS's choice.
  secret_place = "arn:${data.aws_partition.current.partition}:secretsmanager:${local.region}:${local.account}:secret:portcullis/${var.environment}"
  secret_arns = local.is_standby ? merge(
    { Secrets = "${local.secret_place}-??????" },
    { for part in local.secret_parts : "${part}Secret" => "${local.secret_place}/${lower(part)}-??????" },
    ) : merge(
    { Secrets = aws_secretsmanager_secret.this[0].arn },
    { for part, secret in aws_secretsmanager_secret.part : "${part}Secret" => secret.arn },
  )
}

resource "aws_kms_replica_key" "this" {
  count                   = local.is_standby ? 1 : 0
  description             = "Table, secrets and logs of ${local.name}"
  primary_key_arn         = var.standby_of.key_arn
  deletion_window_in_days = 30
  policy                  = local.key_policy
  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_kms_replica_key" "broker" {
  count                   = local.is_standby ? 1 : 0
  description             = "Broker credentials of ${local.name}"
  primary_key_arn         = var.standby_of.broker_key_arn
  deletion_window_in_days = 30
  policy                  = local.broker_key_policy
  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_dynamodb_table_replica" "this" {
  count                       = local.is_standby ? 1 : 0
  global_table_arn            = var.standby_of.table_arn
  kms_key_arn                 = local.key_arn
  point_in_time_recovery      = true
  deletion_protection_enabled = true
  lifecycle {
    prevent_destroy = true
  }
}

# The table, the key and the secret.
data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  name    = "portcullis-${var.environment}"
  region  = data.aws_region.current.name
  account = data.aws_caller_identity.current.account_id
  # "Records" of RecordsSecret, and so on.
  secret_parts = toset([
    for name, resource in local.resources : trimsuffix(name, "Secret")
    if resource.Type == "AWS::SecretsManager::Secret" && endswith(name, "Secret")
  ])
  root = "arn:${data.aws_partition.current.partition}:iam::${local.account}:root"

  key_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "TheAccountDecides"
        Effect    = "Allow"
        Principal = { AWS = local.root }
        Action    = "kms:*"
        Resource  = "*"
      },
      {
        Sid       = "LogsAreEncrypted"
        Effect    = "Allow"
        Principal = { Service = "logs.${local.region}.amazonaws.com" }
        Action    = ["kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey"]
        Resource  = "*"
        Condition = {
          ArnLike = {
            "kms:EncryptionContext:aws:logs:arn" = "arn:${data.aws_partition.current.partition}:logs:${local.region}:${local.account}:log-group:/portcullis/${var.environment}/*"
          }
        }
      },
      {
        Sid       = "AlarmsAreEncrypted"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = "*"
      },
    ]
  })
  broker_key_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TheAccountDecides"
      Effect    = "Allow"
      Principal = { AWS = local.root }
      Action    = "kms:*"
      Resource  = "*"
    }]
  })
}

resource "aws_kms_key" "this" {
  count                   = local.is_standby ? 0 : 1
  description             = "Table, secrets and logs of ${local.name}"
  enable_key_rotation     = true
  multi_region            = var.multi_region_keys
  deletion_window_in_days = 30
  policy                  = local.key_policy
  lifecycle {
    prevent_destroy = true
  }
}

# Of broker credentials alone.
resource "aws_kms_key" "broker" {
  count                   = local.is_standby ? 0 : 1
  description             = "Broker credentials of ${local.name}"
  enable_key_rotation     = true
  multi_region            = var.multi_region_keys
  deletion_window_in_days = 30
  policy                  = local.broker_key_policy
  lifecycle {
    prevent_destroy = true
  }
}

# One that was restored is imported in the place of the one before: OPERATIONS.md says how.
resource "aws_dynamodb_table" "this" {
  count                       = local.is_standby ? 0 : 1
  name                        = "${local.name}${var.table_suffix}"
  billing_mode                = local.resources.Table.Properties.BillingMode
  hash_key                    = "pk"
  range_key                   = "sk"
  deletion_protection_enabled = true

  dynamic "attribute" {
    for_each = local.resources.Table.Properties.AttributeDefinitions
    content {
      name = attribute.value.AttributeName
      type = attribute.value.AttributeType
    }
  }
  dynamic "global_secondary_index" {
    for_each = local.resources.Table.Properties.GlobalSecondaryIndexes
    content {
      name            = global_secondary_index.value.IndexName
      hash_key        = global_secondary_index.value.KeySchema[0].AttributeName
      range_key       = global_secondary_index.value.KeySchema[1].AttributeName
      projection_type = global_secondary_index.value.Projection.ProjectionType
    }
  }
  ttl {
    attribute_name = local.resources.Table.Properties.TimeToLiveSpecification.AttributeName
    enabled        = true
  }
  point_in_time_recovery {
    enabled = true
  }
  server_side_encryption {
    enabled     = true
    kms_key_arn = local.key_arn
  }
  # What a replica is fed from.
  stream_enabled   = var.standby_region != ""
  stream_view_type = var.standby_region == "" ? null : "NEW_AND_OLD_IMAGES"
  lifecycle {
    prevent_destroy = true
    # The standby has it.
    ignore_changes = [replica]
  }
}

resource "aws_secretsmanager_secret" "this" {
  count       = local.is_standby ? 0 : 1
  name        = "portcullis/${var.environment}"
  description = local.resources.Secrets.Properties.Description
  kms_key_id  = local.key_arn
  dynamic "replica" {
    for_each = var.standby_region == "" ? [] : [var.standby_region]
    content {
      region     = replica.value
      kms_key_id = var.standby_keys.key
    }
  }
  lifecycle {
    precondition {
      condition     = (var.standby_region == "") == (var.standby_keys == null)
      error_message = "standby_region and standby_keys are given together or not at all."
    }
  }
}

# What single functions need secrets for: each reads its own. They are rotated together with the one above.
resource "aws_secretsmanager_secret" "part" {
  #checkov:skip=CKV2_AWS_57:The rotation of the secret above rotates them.
  for_each    = local.is_standby ? toset([]) : local.secret_parts
  name        = "portcullis/${var.environment}/${lower(each.key)}"
  description = local.resources["${each.key}Secret"].Properties.Description
  kms_key_id  = local.key_arn
  dynamic "replica" {
    for_each = var.standby_region == "" ? [] : [var.standby_region]
    content {
      region     = replica.value
      kms_key_id = var.standby_keys.key
    }
  }
}

resource "aws_secretsmanager_secret_version" "empty_part" {
  for_each      = aws_secretsmanager_secret.part
  secret_id     = each.value.id
  secret_string = "{}"
  lifecycle {
    ignore_changes = [secret_string, version_stages]
  }
}

# Nothing at first: the rotation, which begins at once, makes every secret that is missing. None is in Terraform's state.
resource "aws_secretsmanager_secret_version" "empty" {
  count         = local.is_standby ? 0 : 1
  secret_id     = aws_secretsmanager_secret.this[0].id
  secret_string = "{}"
  lifecycle {
    ignore_changes = [secret_string, version_stages]
  }
}

resource "aws_secretsmanager_secret_rotation" "this" {
  count               = local.is_standby ? 0 : 1
  secret_id           = aws_secretsmanager_secret.this[0].id
  rotation_lambda_arn = aws_lambda_function.this["KeyRotationFunction"].arn
  rotate_immediately  = true
  rotation_rules {
    automatically_after_days = var.rotation_days
  }
  depends_on = [
    aws_lambda_permission.rotation,
    aws_secretsmanager_secret_version.empty,
    aws_secretsmanager_secret_version.empty_part,
  ]
}

# Functions that a schedule calls.
resource "aws_scheduler_schedule" "this" {
  for_each            = local.schedules
  name                = "${local.name}-${local.functions[each.key].Properties.Handler}"
  schedule_expression = each.value
  state               = local.is_closed && !contains(local.always, each.key) ? "DISABLED" : "ENABLED"
  kms_key_arn         = local.key_arn
  flexible_time_window {
    mode = "OFF"
  }
  target {
    arn      = aws_lambda_function.this[each.key].arn
    role_arn = aws_iam_role.schedules.arn
    input    = "{}"
  }
}

resource "aws_iam_role" "schedules" {
  name = "${local.roles}-schedules"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "scheduler.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

resource "aws_iam_role_policy" "schedules" {
  name = "invoke"
  role = aws_iam_role.schedules.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = "lambda:InvokeFunction"
        Resource = [for name in keys(local.schedules) : aws_lambda_function.this[name].arn]
      },
      {
        Effect    = "Allow"
        Action    = "kms:Decrypt"
        Resource  = local.key_arn
        Condition = { StringEquals = { "kms:ViaService" = "scheduler.${local.region}.amazonaws.com" } }
      },
    ]
  })
}

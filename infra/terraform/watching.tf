# Logs, alarms and the dashboard.
resource "aws_cloudwatch_log_group" "functions" {
  name              = "/portcullis/${var.environment}/functions"
  retention_in_days = var.log_retention_days
  kms_key_id        = aws_kms_key.this.arn
}

resource "aws_cloudwatch_log_group" "access" {
  name              = "/portcullis/${var.environment}/access"
  retention_in_days = var.log_retention_days
  kms_key_id        = aws_kms_key.this.arn
}

locals {
  # What the dimensions of the template's alarms refer to.
  dimension_values = {
    Api                 = aws_apigatewayv2_api.this.id
    Table               = aws_dynamodb_table.this.name
    KeyRotationFunction = aws_lambda_function.this["KeyRotationFunction"].function_name
  }
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each            = local.alarms
  alarm_name          = "${local.name}-${trimsuffix(each.key, "Alarm")}"
  alarm_description   = each.value.AlarmDescription
  namespace           = each.value.Namespace
  metric_name         = each.value.MetricName
  dimensions          = { for d in try(each.value.Dimensions, []) : d.Name => try(local.dimension_values[d.Value.Ref], d.Value) }
  statistic           = each.value.Statistic
  period              = each.value.Period
  evaluation_periods  = each.value.EvaluationPeriods
  threshold           = each.value.Threshold
  comparison_operator = each.value.ComparisonOperator
  treat_missing_data  = each.value.TreatMissingData
  alarm_actions       = var.alarm_topic_arn == "" ? [] : [var.alarm_topic_arn]
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = local.name
  dashboard_body = replace(replace(
    local.resources.Dashboard.Properties.DashboardBody["Fn::Sub"],
    "$${AWS::Region}", local.region),
  "$${Table}", aws_dynamodb_table.this.name)
}

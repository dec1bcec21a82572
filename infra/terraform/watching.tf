# Logs, alarms and the dashboard.
resource "aws_cloudwatch_log_group" "functions" {
  name              = "/portcullis/${var.environment}/functions"
  retention_in_days = var.log_retention_days
  kms_key_id        = local.key_arn
}

resource "aws_cloudwatch_log_group" "access" {
  name              = "/portcullis/${var.environment}/access"
  retention_in_days = var.log_retention_days
  kms_key_id        = local.key_arn
}

locals {
  # An alarm about the edge has no meaning where there is none.
  alarms = {
    for name, resource in local.resources : name => resource.Properties
    if resource.Type == "AWS::CloudWatch::Alarm" && (try(resource.Condition, "") == "" || var.require_edge)
  }

  alarm_topic = var.alarm_topic_arn == "" ? aws_sns_topic.alarms[0].arn : var.alarm_topic_arn
  # What the dimensions of the template's alarms refer to. The only name they put together is that of the table.
  dimension_values = merge(
    { for name, function in aws_lambda_function.this : name => function.function_name },
    {
      Api         = aws_apigatewayv2_api.this.id
      Environment = var.environment
    },
  )
}

resource "aws_sns_topic" "alarms" {
  count             = var.alarm_topic_arn == "" ? 1 : 0
  name              = "${local.name}-alarms"
  kms_master_key_id = local.key_arn
}

resource "aws_sns_topic_subscription" "alarms" {
  count     = var.alarm_topic_arn == "" && var.alarm_email != "" ? 1 : 0
  topic_arn = aws_sns_topic.alarms[0].arn
  protocol  = "email"
  endpoint  = var.alarm_email
}

# Of the whole account, as in the template.
resource "aws_budgets_budget" "this" {
  count        = var.monthly_budget == 0 || local.is_standby ? 0 : 1
  name         = local.name
  budget_type  = "COST"
  time_unit    = "MONTHLY"
  limit_amount = tostring(var.monthly_budget)
  limit_unit   = "USD"
  dynamic "notification" {
    for_each = local.resources.Budget.Properties.NotificationsWithSubscribers[*].Notification
    content {
      notification_type          = notification.value.NotificationType
      comparison_operator        = notification.value.ComparisonOperator
      threshold                  = notification.value.Threshold
      threshold_type             = notification.value.ThresholdType
      subscriber_email_addresses = [var.alarm_email]
    }
  }
}

resource "aws_cloudwatch_log_metric_filter" "master_key" {
  name           = "${local.name}-master-key"
  log_group_name = aws_cloudwatch_log_group.functions.name
  pattern        = local.resources.MasterKeyFailures.Properties.FilterPattern
  metric_transformation {
    namespace = "Portcullis/${var.environment}"
    name      = "MasterKeyFailures"
    value     = "1"
  }
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each          = local.alarms
  alarm_name        = "${local.name}-${trimsuffix(each.key, "Alarm")}"
  alarm_description = each.value.AlarmDescription
  # The template's only intrinsic function in a namespace is the name of the deployment.
  namespace           = try(replace(each.value.Namespace["Fn::Sub"], "$${Environment}", var.environment), each.value.Namespace, null)
  metric_name         = try(each.value.MetricName, null)
  dimensions          = can(each.value.Dimensions) ? { for d in each.value.Dimensions : d.Name => try(local.dimension_values[d.Value.Ref], d.Value) } : null
  statistic           = try(each.value.Statistic, null)
  extended_statistic  = try(each.value.ExtendedStatistic, null)
  period              = try(each.value.Period, null)
  evaluation_periods  = each.value.EvaluationPeriods
  threshold           = each.value.Threshold
  comparison_operator = each.value.ComparisonOperator
  treat_missing_data  = each.value.TreatMissingData
  alarm_actions       = [local.alarm_topic]
  ok_actions          = [local.alarm_topic]

  dynamic "metric_query" {
    for_each = try(each.value.Metrics, [])
    content {
      id          = metric_query.value.Id
      return_data = metric_query.value.ReturnData
      expression = try(
        replace(metric_query.value.Expression["Fn::Sub"], "$${ConcurrentExecutions}", var.concurrent_executions),
        metric_query.value.Expression,
        null,
      )
      dynamic "metric" {
        for_each = try([metric_query.value.MetricStat], [])
        content {
          namespace   = metric.value.Metric.Namespace
          metric_name = metric.value.Metric.MetricName
          dimensions = {
            for d in try(metric.value.Metric.Dimensions, []) :
            d.Name => try(local.dimension_values[d.Value.Ref], tostring(d.Value), local.table_name)
          }
          period = metric.value.Period
          stat   = metric.value.Stat
        }
      }
    }
  }
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = local.name
  dashboard_body = replace(replace(replace(
    local.resources.Dashboard.Properties.DashboardBody["Fn::Sub"],
    "$${AWS::Region}", local.region),
    "$${Environment}", var.environment),
  "$${TableSuffix}", var.table_suffix)
}

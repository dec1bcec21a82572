output "api_url" {
  description = "Where API Gateway answers; public_url has to lead here"
  value       = aws_apigatewayv2_api.this.api_endpoint
}

output "domain_target" {
  description = "What the DNS record of domain_name names; null without one"
  value       = one(aws_apigatewayv2_domain_name.this[*].domain_name_configuration[0].target_domain_name)
}

output "domain_hosted_zone" {
  description = "Hosted zone of domain_target, for an alias in Route 53; null without a domain"
  value       = one(aws_apigatewayv2_domain_name.this[*].domain_name_configuration[0].hosted_zone_id)
}

output "alarm_topic_arn" {
  description = "SNS topic that is told of alarms"
  value       = local.alarm_topic
}

output "operators_policy_arn" {
  description = "What a role needs to run manage-users --table"
  value       = aws_iam_policy.operators.arn
}

output "table_name" {
  description = "What manage-users --table takes"
  value       = local.table_name
}

output "secret_arn" {
  description = "The secret of every function; null of a standby"
  value       = one(aws_secretsmanager_secret.this[*].arn)
}

output "keys" {
  description = "The keys of this Region; what a standby has is the standby_keys of its first Region"
  value       = { key = local.key_arn, broker_key = local.broker_key_arn }
}

output "for_standby" {
  description = "The standby_of of a standby in another Region; null of a standby"
  value = local.is_standby ? null : {
    key_arn        = local.key_arn
    broker_key_arn = local.broker_key_arn
    table_arn      = aws_dynamodb_table.this[0].arn
  }
}

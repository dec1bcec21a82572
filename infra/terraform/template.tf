# What template.yaml says: functions, their routes and permissions, alarms. It is said there once, for SAM and for this
# module, so that neither can have a route or a right the other lacks.
locals {
  template  = yamldecode(file("${path.module}/../template.yaml"))
  resources = local.template.Resources
  functions = { for name, resource in local.resources : name => resource if resource.Type == "AWS::Serverless::Function" }
  alarms    = { for name, resource in local.resources : name => resource.Properties if resource.Type == "AWS::CloudWatch::Alarm" }

  # "POST /v1/auth/login" => "LoginFunction"
  routes = merge([
    for name, function in local.functions : {
      for event in values(try(function.Properties.Events, {})) :
      (event.Properties.Method == "$default" ? "$default" : "${event.Properties.Method} ${event.Properties.Path}") => name
      if event.Type == "HttpApi"
    }
  ]...)

  # "ProviderCheckFunction" => "rate(5 minutes)"
  schedules = merge([
    for name, function in local.functions : {
      for event in values(try(function.Properties.Events, {})) :
      name => event.Properties.ScheduleExpression if event.Type == "ScheduleV2"
    }
  ]...)
}

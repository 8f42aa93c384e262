import { paymentsCommand } from './commands/payments.ts'
import { runCommand } from './commands/run-command.ts'

await runCommand(paymentsCommand)

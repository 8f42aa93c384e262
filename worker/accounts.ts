import { accountsCommand } from './commands/accounts.ts'
import { runCommand } from './commands/run-command.ts'

await runCommand(accountsCommand)

import { limitsCommand } from './commands/limits.ts'
import { runCommand } from './commands/run-command.ts'

await runCommand(limitsCommand)

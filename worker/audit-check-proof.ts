/**
 * `npm run audit:check-proof -- proof.json --key key.json`: says in plain words what a proof of the bank proves, or what in it does
 * not fit. Needs no server and no database. `--kept FILE`: a checkpoint from which a proof of consistency must begin.
 */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { logVerifiers } from '@bankside/bank/audit/audit-keys'
import { checkProof } from '@bankside/bank/audit/check-proof'
import { BadCheckpoint } from '@bankside/bank/audit/checkpoint'
import { keptCheckpoints } from '@bankside/bank/audit/checkpoint-file'
import { auditCommand, keysIn } from './audit-command.ts'
import { Complaint, print } from './commands/run-command.ts'

const usage = 'usage: npm run -s audit:check-proof -- proof.json --key key.json [--kept checkpoint]'

process.exitCode = await auditCommand(check)

async function check(): Promise<number> {
  const { proofPath, keyPath, keptPath } = readArguments()
  const verifiers = logVerifiers(keysIn(keyPath))
  const kept =
    keptPath === undefined
      ? undefined
      : (await keptCheckpoints(keptPath, verifiers).catch((error: unknown) => explain(error, keptPath))).at(-1)
  const { proven, problems } = checkProof(read(proofPath), verifiers, kept)
  if (problems.length === 0) {
    print(proven.join('\n'))
    return 0
  }
  print(`This proves nothing, because it does not fit:\n${problems.map((problem) => `  ${problem}`).join('\n')}`)
  return 1
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    return explain(error, path)
  }
}

/** @throws {Complaint} for what people can do something about. */
function explain(error: unknown, path: string): never {
  if (error instanceof BadCheckpoint) throw new Complaint(`The checkpoint in ${path} cannot be used: ${error.message}.`)
  const { code } = error as NodeJS.ErrnoException
  if (code !== undefined) throw new Complaint(`${path} cannot be read (${code}).`)
  throw error
}

function readArguments(): { proofPath: string; keyPath: string; keptPath: string | undefined } {
  try {
    const { values, positionals } = parseArgs({ allowPositionals: true, options: { key: { type: 'string' }, kept: { type: 'string' } } })
    const [proofPath, ...others] = positionals
    if (proofPath !== undefined && values.key !== undefined && others.length === 0)
      return { proofPath, keyPath: values.key, keptPath: values.kept }
  } catch (error) {
    throw new Complaint(`${(error as Error).message}\n${usage}`)
  }
  throw new Complaint(usage)
}

import { userInfo } from 'node:os'
import { parseArgs } from 'node:util'
import { ConfigError } from '@bankside/service-kit/config'
import { type Database, openDatabase } from '@bankside/service-kit/postgres'
import { Unavailable } from '@bankside/service-kit/refusal'
import { databaseToReconcile, NothingToReconcile } from '../database-to-reconcile.ts'

/** What is told to whoever typed the command: what they can put right. */
export class Complaint extends Error {
  override name = 'Complaint'
}

export type Command = (database: Database, args: string[]) => Promise<string>

/** Who is at the keyboard, for the audit log. */
export function operator(): string {
  try {
    return `operator ${userInfo().username}`
  } catch {
    return `operator ${process.getuid?.()}` // A container's user need not have a name.
  }
}

/** @returns the exit status: that of the command, or `notRun` when it could not be carried out, with a word of why. */
export async function exitStatusOf(run: () => Promise<number>, notRun: number): Promise<number> {
  try {
    return await run()
  } catch (error) {
    const known = [Complaint, ConfigError, NothingToReconcile, Unavailable].some((kind) => error instanceof kind)
    if (!known) throw error
    process.stderr.write(`${error instanceof Unavailable ? 'The database does not answer.' : (error as Error).message}\n`)
    return notRun
  }
}

/** A command for the bank's engineers, on the database of DATABASE_URL or of the sandbox that runs here. */
export async function runCommand(command: Command): Promise<void> {
  process.exitCode = await exitStatusOf(async () => {
    const database = await openDatabase(await databaseToReconcile(), { maxConnections: 1 })
    try {
      print(await command(database, process.argv.slice(2)))
      return 0
    } finally {
      await database.end()
    }
  }, 1)
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

const whyAtMost = 500
/** Whether it says why something was done, for the audit log. */
export const isWhy = (why: string): boolean => why.trim() !== '' && why.length <= whyAtMost

/** Columns of text, each as wide as its widest cell. */
export function inColumns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** What was typed: a command, what it is about, and options with a value each. @throws {Complaint} with the usage. */
export function optionsIn<Name extends string>(args: string[], names: readonly Name[], usage: string) {
  try {
    const options = Object.fromEntries(names.map((name) => [name, { type: 'string' } as const]))
    const { positionals, values } = parseArgs({ args, allowPositionals: true, options })
    const [command, subject] = positionals
    return { command, subject, values: values as Readonly<Partial<Record<Name, string>>> }
  } catch (error) {
    throw error instanceof TypeError ? new Complaint(usage) : error
  }
}

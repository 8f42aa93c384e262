import { execFile } from 'node:child_process'
import path from 'node:path'
import { promisify } from 'node:util'
import type { RunningSandbox } from '../sandbox/start-sandbox.ts'

const repository = path.join(import.meta.dirname, '../..')

export type Outcome = { readonly code: number; readonly said: string; readonly complained: string }

/** One of the npm scripts, as somebody beside the running sandbox would call it. */
export async function command({ home, portBase, databaseUrl }: RunningSandbox, file: string, ...args: string[]): Promise<Outcome> {
  const environment = { ...process.env, BANKSIDE_HOME: home, BANKSIDE_PORT_BASE: String(portBase), DATABASE_URL: databaseUrl }
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [file, ...args], { cwd: repository, env: environment })
    return { code: 0, said: stdout.trim(), complained: stderr.trim() }
  } catch (error) {
    const { code, stdout, stderr } = error as { code?: number; stdout?: string; stderr?: string }
    return { code: code ?? 1, said: (stdout ?? '').trim(), complained: (stderr ?? '').trim() }
  }
}

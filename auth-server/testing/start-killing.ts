import assert from 'node:assert/strict'
import { type ServerProcess, type ServerProcesses, startServerProcesses } from './server-processes.ts'
import { StatementLink } from './statement-link.ts'

type Victim = { readonly process: ServerProcess; readonly link: StatementLink }
/** The same thing used again and again; whether that succeeded. */
export type Uses = readonly (() => Promise<boolean>)[]

const mostStatements = 60
/** For the `timeout` of a test: processes start one after the other, on whatever else the machine does. */
export const timeout = 280_000

export type Killing = {
  readonly server: ServerProcesses
  /** Kills at one boundary after the other, until the act is through before it. @returns how many uses succeeded at each. */
  readonly atEveryBoundary: (prepare: () => Promise<Uses>, boundaries?: { from: number; step: number }) => Promise<number[]>
  readonly stop: () => Promise<void>
}

/** Server processes that are killed with -9 after each statement of an act in turn; the next is always started already. */
export async function startKilling(): Promise<Killing> {
  const server = await startServerProcesses(0)
  const launchVictim = async (): Promise<Victim> => {
    const link = await StatementLink.to(server.database.authServerUrl)
    return { link, process: await server.launch({ DATABASE_URL: link.url }) }
  }
  let next = launchVictim()
  server.prefer((await next).process)
  return {
    server,
    async atEveryBoundary(prepare, { from, step } = { from: 0, step: 1 }) {
      const succeeded: number[] = []
      for (let statements = from; statements < mostStatements; statements += step) {
        const victim = await next
        next = launchVictim()
        server.prefer(victim.process)
        const [use, ...again] = await prepare()
        victim.link.arm(statements, () => void victim.process.child.kill('SIGKILL'))
        const results = [(await use?.().catch(() => false)) === true]
        const wasKilled = victim.link.disarm()
        await victim.process.kill()
        victim.link.close()
        server.prefer((await next).process)
        for (const repeat of again) results.push(await repeat())
        succeeded.push(results.filter((result) => result).length)
        if (!wasKilled) return succeeded
        assert.equal(results[0], false, 'the answer never arrived')
      }
      throw new Error('it never came to an end')
    },
    async stop() {
      const { link } = await next
      await server.stop()
      link.close()
    },
  }
}

export function assertUsedOnce(succeeded: readonly number[]): void {
  assert.ok(succeeded.length > 2, `${succeeded.length} boundaries`)
  assert.deepEqual(
    succeeded.filter((times) => times > 1),
    [],
    `succeeded ${succeeded.join(' ')}`,
  )
  assert.equal(succeeded[0], 1, 'what was not used is as good as before')
  assert.equal(succeeded.at(-1), 1, 'what was answered was used')
}

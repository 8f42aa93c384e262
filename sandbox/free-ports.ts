import { createServer } from 'node:net'
import { Problem } from './problem.ts'
import type { Ports } from './settings.ts'

const uses: Readonly<Record<Exclude<keyof Ports, 'base' | 'thirdParty'>, string>> = {
  issuer: 'the authorization server',
  mtlsIssuer: 'the authorization server with client certificates',
  resourceApi: 'the resource API',
  approvalDesk: 'the answers of demo customers in automated tests',
  directory: 'the directory of third parties',
  authServerOperations: "the authorization server's health and metrics",
  resourceApiOperations: "the resource API's health and metrics",
  workerOperations: "the worker's health and metrics",
  postgres: 'PostgreSQL',
}

/** @throws {Problem} naming the first port that is taken, and the setting that moves all of them. */
export async function refuseTakenPorts(ports: Ports, { exceptPostgres }: { exceptPostgres: boolean }): Promise<void> {
  for (const [name, use] of Object.entries(uses) as [keyof typeof uses, string][]) {
    if (name === 'postgres' && exceptPostgres) continue
    const code = await bindError(ports[name])
    if (code === undefined) continue
    const other = `Choose ten other ports with BANKSIDE_PORT_BASE, for example: BANKSIDE_PORT_BASE=${otherBase(ports.base)} npm start`
    if (code === 'EADDRINUSE') throw new Problem(`Port ${ports[name]}, for ${use}, is taken by another program. Stop it, or:\n${other}`)
    throw new Problem(`Port ${ports[name]}, for ${use}, cannot be used by this user (${code}).\n${other}`)
  }
}

function otherBase(base: number): number {
  return base < 60_000 ? base + 100 : base - 100
}

function bindError(port: number): Promise<string | undefined> {
  return new Promise((answer) => {
    const probe = createServer()
    probe.once('error', (error: NodeJS.ErrnoException) => answer(error.code ?? 'unknown'))
    probe.listen(port, '127.0.0.1', () => probe.close(() => answer(undefined)))
  })
}

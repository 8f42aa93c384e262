/** `npm run check`: types and lint, at the same time. */
import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { repository } from './settings.ts'

const { resolve } = createRequire(import.meta.url)
const biome = join(dirname(resolve('@biomejs/biome/package.json')), 'bin', 'biome')
const tsc = join(dirname(resolve('typescript/package.json')), 'bin', 'tsc')

const startedAt = performance.now()
const outcomes = await Promise.all([
  run('types', [tsc, '--noEmit', '--pretty', '-p', repository]),
  run('lint', [biome, 'check', '--error-on-warnings', repository]),
])
for (const { name, status, output } of outcomes) {
  console.log(`${name}: ${status === 0 ? 'ok' : 'failed'}`)
  if (status !== 0) console.log(output)
}
console.log(`${((performance.now() - startedAt) / 1000).toFixed(1)} s`)
process.exitCode = outcomes.every(({ status }) => status === 0) ? 0 : 1

function run(name: string, args: string[]): Promise<{ name: string; status: number; output: string }> {
  const child = spawn(process.execPath, args, { cwd: repository, stdio: ['ignore', 'pipe', 'pipe'] })
  const output: Buffer[] = []
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => output.push(chunk))
  return new Promise((done) => child.once('close', (code) => done({ name, status: code ?? 1, output: Buffer.concat(output).toString() })))
}

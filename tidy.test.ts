/** Reads the sources and checks the rules that keep the repository readable. Each message says what to do instead. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'

type Source = { readonly path: string; readonly folder: string; readonly lines: readonly string[] }

/** Which folder may import which. A test may import more: it stands outside the arrows. */
const mayImport: Record<string, readonly string[]> = {
  'service-kit': [],
  bank: ['service-kit'],
  'consent-ui': ['service-kit'],
  certs: ['service-kit'],
  'auth-server': ['bank', 'consent-ui', 'service-kit'],
  'resource-api': ['bank', 'service-kit'],
  worker: ['bank', 'service-kit'],
  sandbox: ['auth-server', 'bank', 'certs', 'service-kit'],
  acceptance: [],
  // It measures from outside, but starts a PostgreSQL as the sandbox does.
  bench: ['service-kit'],
}

const linesPerFile = 300
const linesPerFunction = 70

const root = import.meta.dirname
const tracked = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.ts', '*.mjs'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\n')
  .filter((path) => path !== '' && existsSync(`${root}/${path}`))
const everything: readonly Source[] = tracked.map((path) => ({
  path,
  folder: path.includes('/') ? (path.split('/')[0] ?? '') : '',
  lines: readFileSync(`${root}/${path}`, 'utf8').split('\n'),
}))
const isTest = ({ path }: Source) => path.endsWith('.test.ts') || path.includes('/testing/') || path.includes('test-')
const product = everything.filter((source) => !isTest(source) && !['acceptance', 'bench'].includes(source.folder))

const problems = (sources: readonly Source[], check: (source: Source) => Iterable<string>) =>
  sources.flatMap((source) => [...check(source)].map((problem) => `${source.path}: ${problem}`))

test('there are sources to check', () => assert.ok(product.length > 50, `only ${product.length} files found`))

test('no source file is longer than 300 lines: split it by subject', () => {
  assert.deepEqual(
    problems(product, ({ lines }) => (lines.length > linesPerFile ? [`${lines.length} lines`] : [])),
    [],
  )
})

test('no function is longer than 70 lines: the parent holds the branches, the leaves do the work', () => {
  const tooLong = problems(product, function* ({ lines }) {
    let start: number | undefined
    for (const [index, line] of lines.entries()) {
      if (/^(export )?(async )?function/.test(line)) start = index
      if (line === '}' && start !== undefined) {
        if (index - start >= linesPerFunction) yield `line ${start + 1}: ${index - start + 1} lines`
        start = undefined
      }
    }
  })
  assert.deepEqual(tooLong, [])
})

test('folders and files are named after what is inside, in kebab-case', () => {
  const misnamed = problems(everything, function* ({ path }) {
    if (/(^|\/)(utils?|helpers?|common|shared|misc|lib)(\/|\.|-)/.test(path)) yield 'name it after what it does'
    if (!/^[a-z0-9./-]+$/.test(path)) yield 'use kebab-case'
  })
  assert.deepEqual(misnamed, [])
})

test('packages depend downwards only', () => {
  const upwards = problems(
    everything.filter((source) => !isTest(source) && source.folder in mayImport),
    function* ({ path, folder, lines }) {
      // The test runner prepares the one database server that all test files share.
      if (path === 'acceptance/run-tests.ts') return
      for (const line of lines) {
        const [, to] = /from '@bankside\/([\w-]+)/.exec(line) ?? /import\('@bankside\/([\w-]+)/.exec(line) ?? []
        if (to !== undefined && to !== folder && !mayImport[folder]?.includes(to)) yield `${folder} must not import ${to}`
        if (/from '\.\.\/\.\.\/(\.\.\/)*[a-z-]+\/.*'/.test(line) && !insideOwnFolder(path, line))
          yield `import another package by its name: ${line.trim()}`
      }
    },
  )
  assert.deepEqual(upwards, [])
})

function insideOwnFolder(path: string, line: string): boolean {
  const ups = (/from '((?:\.\.\/)+)/.exec(line)?.[1]?.length ?? 0) / 3
  return path.split('/').length - 1 > ups
}

const banned: readonly { pattern: RegExp; instead: string; allowed?: (source: Source) => boolean }[] = [
  { pattern: /\bexport default\b/, instead: 'a named export' },
  {
    pattern: /\bprocess\.env\b/,
    instead: 'service-kit/config.ts',
    allowed: ({ path, folder }) => path === 'service-kit/config.ts' || folder === 'sandbox',
  },
  { pattern: /from 'pg'/, instead: 'service-kit/postgres.ts or prepared.ts', allowed: ({ folder }) => folder === 'service-kit' },
  {
    pattern: /\bDate\.now\(\)|new Date\(\)/,
    instead: 'the clock of service-kit/clock.ts',
    allowed: ({ folder }) => ['service-kit', 'certs', 'sandbox'].includes(folder),
  },
  { pattern: /\b(TODO|FIXME|XXX)\b/, instead: 'a finished change' },
  { pattern: /^\s*(enum|namespace) \w/, instead: 'a union or a module' },
  { pattern: /catch *(\(\w*\))? *\{ *\}/, instead: 'an answer to the error, or a comment that says why none is needed' },
  { pattern: /\bparseFloat\b/, instead: 'bank/money.ts: amounts never pass through a float' },
  { pattern: /rejectUnauthorized: false/, instead: 'a trusted certificate', allowed: ({ path }) => path === 'service-kit/tls-server.ts' },
]

test('nothing banned', () => {
  const found = problems(product, function* (source) {
    for (const { pattern, instead, allowed } of banned)
      if (!allowed?.(source))
        for (const [index, line] of source.lines.entries())
          if (pattern.test(line)) yield `line ${index + 1}: ${pattern} is banned, use ${instead}`
  })
  assert.deepEqual(found, [])
})

test('bank knows no HTTP, no OAuth library and no wall clock', () => {
  const found = problems(
    product.filter(({ folder }) => folder === 'bank'),
    ({ lines }) => lines.filter((line) => /from '(koa|oidc-provider|jose|hono|node:https?|node:net|node:tls)/.test(line)),
  )
  assert.deepEqual(found, [])
})

test('what is asked of a database outside a transaction goes through reading(…): a lost connection is *unavailable*, not a fault', () => {
  const asked = /(?<!reading\(\s*)\b(database|sealer)\.(any|anyFirst|exists|many|maybeOne|maybeOneFirst|one|oneFirst|query)\(/g
  const found = problems(
    product.filter(({ folder, path }) => folder !== 'sandbox' && !path.startsWith('bank/sandbox/')),
    ({ lines }) => lines.join('\n').match(asked) ?? [],
  )
  assert.deepEqual(found, [])
})

test('consent-ui does not import oidc-provider', () => {
  assert.deepEqual(
    problems(
      product.filter(({ folder }) => folder === 'consent-ui'),
      ({ lines }) => lines.filter((line) => line.includes('oidc-provider')),
    ),
    [],
  )
})

test('no test is left alone or put aside', () => {
  const found = problems(everything.filter(isTest), ({ path, lines }) =>
    path === 'tidy.test.ts' ? [] : lines.filter((line) => /\b(test|it|describe)\.(only|todo|skip)\b|skip: *true/.test(line)),
  )
  assert.deepEqual(found, [])
})

test('no committed file names a path of one machine', () => {
  const named = execFileSync('git', ['ls-files'], { cwd: root, encoding: 'utf8' })
    .split('\n')
    .filter((path) => /\.(ts|mjs|md|sql|json|yml|yaml|css)$/.test(path) && path !== 'package-lock.json' && existsSync(`${root}/${path}`))
    .filter((path) => /(["'` (=])\/(work|root|Users|home\/(?!x\/)[a-z]+)\/[a-z]/.test(readFileSync(`${root}/${path}`, 'utf8')))
    .filter((path) => path !== 'tidy.test.ts')
  assert.deepEqual(named, [])
})

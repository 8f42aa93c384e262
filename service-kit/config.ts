import { readFileSync } from 'node:fs'
import { z } from 'zod'

/** Everything that is wrong with a process's settings, in one message. It never repeats a value: values may be secrets. */
export class ConfigError extends Error {
  override name = 'ConfigError'
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(
      `the configuration has ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}:\n${problems.map((problem) => `  ${problem}`).join('\n')}`,
    )
    this.problems = problems
  }
}

type Environment = Readonly<Record<string, string | undefined>>

/**
 * Reads the settings a process names in its schema, once, at its start. A setting can be given as `NAME`, or as
 * `NAME_FILE`: the path of a file that holds the value, which is how container secrets arrive. Empty means not given.
 *
 * @throws {ConfigError} with every problem at once.
 */
export function readConfig<Shape extends z.ZodRawShape>(
  schema: z.ZodObject<Shape>,
  environment: Environment = process.env,
): z.infer<z.ZodObject<Shape>> {
  const problems: string[] = []
  const given: Record<string, string> = {}
  for (const name of Object.keys(schema.shape)) {
    try {
      const value = environment[name] || secretFrom(environment[`${name}_FILE`])
      if (value) given[name] = value
    } catch {
      problems.push(`${name}_FILE: the file it names cannot be read`)
    }
  }
  const parsed = schema.safeParse(given)
  for (const { path, message } of parsed.error?.issues ?? []) {
    const name = path.join('.')
    if (problems.some((problem) => problem.startsWith(`${name}_FILE:`))) continue
    problems.push(String(path[0]) in given ? `${name}: ${message}` : `${name} is missing`)
  }
  if (problems.length > 0 || !parsed.success) throw new ConfigError(problems)
  return parsed.data
}

function secretFrom(path: string | undefined): string | undefined {
  return path ? readFileSync(path, 'utf8').trim() : undefined
}

/** The whole environment, for starting a child process with it. Settings are read with {@link readConfig}. */
export function currentEnvironment(): Environment {
  return process.env
}

/** For a child that gets nothing else of the environment: where sandbox/run.mjs has Node keep what it compiled. */
export function compileCache(): { readonly NODE_COMPILE_CACHE?: string } {
  const { NODE_COMPILE_CACHE: folder } = process.env
  return folder === undefined ? {} : { NODE_COMPILE_CACHE: folder }
}

const maxPort = 65_535

export const port = z
  .string()
  .regex(/^[0-9]{1,5}$/, 'must be a port number')
  .transform(Number)
  .refine((number) => number <= maxPort, `must be at most ${maxPort}`)

/** Scheme, host and port, nothing behind. */
export const httpsOrigin = z
  .string()
  .refine(
    (text) => URL.parse(text)?.origin === text && text.startsWith('https://'),
    'must be an https origin such as https://localhost:4430',
  )

export const httpsUrl = z.string().refine((text) => URL.parse(text)?.protocol === 'https:', 'must be an https URL')

export const databaseUrl = z.string().regex(/^postgres(ql)?:\/\//, 'must be a postgresql:// URL')

export const redisUrl = z.string().regex(/^rediss?:\/\//, 'must be a redis:// or rediss:// URL')

export const addressList = z
  .string()
  .default('')
  .transform((text) =>
    text
      .split(',')
      .map((address) => address.trim())
      .filter((address) => address !== ''),
  )

const key32 = z
  .string()
  .transform((text) => Buffer.from(text, 'base64url'))
  .refine(({ length }) => length === 32, 'must be keys of 32 bytes as base64url')
const timedKeys = z.array(z.strictObject({ key: key32, nbf: z.int().optional(), exp: z.int().optional() })).min(1)

/**
 * Keys of AES-256 as base64url: a JSON list of objects with `key` and its times, or the keys themselves with commas between, of which the
 * first one seals. All of them open.
 */
export const sealingKeys = z
  .string()
  .transform((text, context): unknown => {
    const bare = text.trim()
    if (!bare.startsWith('[')) return bare.split(',').map((key) => ({ key: key.trim() }))
    try {
      return JSON.parse(bare) as unknown
    } catch {
      context.issues.push({ code: 'custom', message: 'must be JSON', input: '' })
      return z.NEVER
    }
  })
  .pipe(timedKeys)

/** How often, for ever: of one address, of one client… */
export const requestsPerSecond = (otherwise: number) =>
  z
    .string()
    .regex(/^[0-9]{1,7}$/, 'must be a whole number of requests per second')
    .transform(Number)
    .refine((number) => number > 0, 'must be at least 1')
    .default(otherwise)

export const logLevel = z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info')

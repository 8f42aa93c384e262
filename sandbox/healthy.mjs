/** The health check of a container: `node sandbox/healthy.mjs <operations port>`. */
const port = Number(process.argv[2])
const { ok } = await fetch(`http://127.0.0.1:${port}/health/ready`, { signal: AbortSignal.timeout(3_000) }).catch(() => ({ ok: false }))
process.exitCode = ok ? 0 : 1

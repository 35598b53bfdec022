# After ruby-pg's spec/helpers.rb: the server that its specs would start is the one on PGPORT.
class PG::TestingHelpers::PostgresServer
  private

  def stop_existing_cluster; end

  def setup_cluster(_conf)
    raise "only the server of the suite" unless @port == ENV.fetch("PGPORT").to_i

    @unix_socket = ENV.fetch("SUITE_SOCKET")
    generate_ssl_certs(@pgdata.to_s)
  end

  def start_cluster; end

  public

  def teardown; end
end
